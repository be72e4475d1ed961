"""How far a number from few rows can be trusted: intervals of scores, and what differences a hold-out set can show."""
