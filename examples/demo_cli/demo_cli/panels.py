"""How the help is arranged: panels by command, for rich-click to read.

A table and not `panel=` on each option, which rich-click only has since 1.9.
"""

from __future__ import annotations

HELP_CONFIG = {
    "command_groups": {
        "demo-cli": [
            {"name": "Ship", "commands": ["deploy", "pipeline", "status", "push"]},
            {"name": "Manage", "commands": ["apps", "db", "import"]},
            {"name": "Account", "commands": ["login", "whoami", "telemetry"]},
            {"name": "Run and try", "commands": ["run", "wait", "fail"]},
        ],
    },
    "option_groups": {
        "demo-cli deploy": [
            {"name": "What runs, and where", "options": ["--region", "--replicas", "--env"]},
            {"name": "Rollout", "options": ["--dry-run", "--message", "--wait"]},
        ],
        "demo-cli apps create": [
            {"name": "The application", "options": ["--name", "--plan", "--region"]},
            {"name": "Without questions", "options": ["--accept-terms", "--dry-run"]},
        ],
    },
}
