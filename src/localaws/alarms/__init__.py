"""CloudWatch alarms that are really evaluated: by a clock, over periods, with AWS's rules for missing data.

Try it:  aws cloudwatch put-metric-alarm, put-metric-data, then describe-alarms a few of CloudWatch's minutes on
Metrics are ministack's to store, and composite alarms' rules its to judge. `hooks` puts the rest in its place:
`calls` keeps alarms, `datapoints` reads periods, `evaluator` judges them, `watch` has the clock, `actions` acts.
Knows nothing of who publishes metrics or of scaling: who wants to act on an alarm registers for it.
"""
