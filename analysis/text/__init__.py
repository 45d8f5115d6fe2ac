"""Numbers, tables and escaping."""
