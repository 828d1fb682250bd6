"""The configuration language: pydantic models over the discovered plugins, and what each step takes from them."""
