"""`click-telemetry report`: what an application's events answer, without an account.

It reads files of messages, asks its questions on DuckDB, and shows the answers in a terminal, as a
page or as JSON; for a warehouse it prints the same questions as SQL. It sends nothing, needs no
network, and trusts no event: names are escaped wherever they are shown.
"""
