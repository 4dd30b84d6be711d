"""`python -m demo_cli` is `demo-cli`."""

from demo_cli.main import cli

if __name__ == "__main__":
    cli(prog_name="demo-cli")
