"""Cloud Storage: the JSON API and the addresses of signed URLs over ``kernel.objects``."""
