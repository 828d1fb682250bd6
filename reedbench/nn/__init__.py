"""Networks, probability paths, samplers and alignment losses: tensors in, tensors out, no files."""
