"""Engine families as data, one YAML file each: limits, host costs and reserve by version."""
