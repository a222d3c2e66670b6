# ‚úÖ Good: Searchable, meaningful metadata
ctx.add_metadata("user_tier", "premium")
ctx.add_metadata("query_type", "analytics")
ctx.add_metadata("data_source", "postgres")

# ‚ùå Bad: Sensitive or redundant data
ctx.add_metadata("password", "...")  # Never!
ctx.add_metadata("raw_sql", long_query)  # Too verbose
