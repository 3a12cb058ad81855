"""Benches: figures that are printed, written as JSON and never tested against a clock."""
