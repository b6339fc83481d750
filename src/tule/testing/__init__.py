"""What other projects import: a session on a local server, a pytest fixture, server processes for tests."""
