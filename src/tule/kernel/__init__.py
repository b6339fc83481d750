"""The ground floor: what every room stands on. Knows no Google product, no wire protocol and no machine learning."""
