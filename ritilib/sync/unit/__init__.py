"""One unit, whole: written in order, watched, judged, taken back."""
