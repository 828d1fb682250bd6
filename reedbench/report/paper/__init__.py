"""`snakemake paper`: the papers' tables, speed-ups and figures from config/reference, with own results beside them."""
