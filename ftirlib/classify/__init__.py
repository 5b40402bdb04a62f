"""From spectrum to class: baselines, the multi-scale network, its training and its ensemble."""
