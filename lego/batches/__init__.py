"""Many pictures at once: what is asked for, who does it, what stands in the ledger, and the sheet that shows it."""
