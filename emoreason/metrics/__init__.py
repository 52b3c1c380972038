"""Metrics, by what they are about; import from the module, so that a reward that needs sets does not wait for numpy.

sets (standard library only), classification, regression, calibration, wheel, cues, text; `bootstrap` gives any of them an
interval, `evaluation` is the report of one record set, `benchmarks` are the published ones, `named` has all of them by name
and `predictions` computes one on two files.
"""
