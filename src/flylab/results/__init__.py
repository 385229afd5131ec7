"""From saved data to statistics, claims and plots."""
