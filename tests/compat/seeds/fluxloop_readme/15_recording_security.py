# ‚úÖ Good: Record in non-production
if os.getenv("ENVIRONMENT") in ["staging", "development"]:
    fluxloop.configure(record_args=True)

# ‚úÖ Good: Use test accounts
# Record with test_user@example.com, not real users

# ‚ùå Bad: Record in production with real data
fluxloop.configure(record_args=True)  # Risky!
