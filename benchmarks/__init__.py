"""Speed against the plain way, as ratios in the same run; `make bench` runs them all."""
