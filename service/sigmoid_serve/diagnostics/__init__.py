"""What an operator asks of a machine: the doctor, and where a service listens.

In: settings and the machine. Out: findings in words. May import `sockets`,
`repository`, `engine` and what is below them.
"""
