"""Several models side by side: fitted within one budget, judged on held-out records, ranked, and described in words."""
