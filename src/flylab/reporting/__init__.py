"""What people read: figures, reports, and what notebooks show, from saved results only."""
