"""The jail for user models: a pickle is a program, so it runs in a process that can only compute.

``syscalls`` says which system calls such a process may make, ``confine`` locks the calling process in, ``worker`` is
the process's program, ``frames`` is what it and the server say to each other. The server side of it is
``vertex.endpoints.workers``. Nothing here imports a model library except ``worker``.
"""
