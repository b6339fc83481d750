"""The jail for user models: a pickle is a program, so it runs in a process that can only compute.

``worker`` is the process's program, ``loaders`` open the models; what locks the process in is ``engines.jail``. The
server side of it is ``vertex.endpoints.workers``. Nothing here imports a model library except ``loaders``.
"""
