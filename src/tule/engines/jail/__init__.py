"""Processes that can only compute: what may be a program, a pickle or a function in JavaScript, runs in one.

``syscalls`` says which system calls such a process may make, ``confine`` locks the calling process in, ``frames`` is what
it and the server say to each other over a pair of pipes. Nothing here imports more than a small process needs.
"""
