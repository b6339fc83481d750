"""How unmodified clients arrive: a private CA, a proxy that answers for Google's names, credentials, environment."""
