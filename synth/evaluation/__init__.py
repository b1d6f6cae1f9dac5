"""The measurements: quality, diversity, speed, privacy and lift, one file each."""
