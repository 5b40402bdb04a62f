"""The fusion classifier: spectra as images, wavelet scattering and statistics in one network's hands.

Abdo et al. 2024 (10.5815/ijisa.2024.04.02); only their abstract is public, so every choice here is a stated parameter.
"""
