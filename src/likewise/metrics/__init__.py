"""Measures of generated records against real ones, each with an interval; nothing here knows how they were made."""
