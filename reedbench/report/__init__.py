"""Reports: tables and figures, from metric records, thinned curves and previews alone."""
