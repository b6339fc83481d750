"""Models as ONNX graphs: a writer of the format's few fields, and each family's formula with its preprocessing."""
