"""Airflow as `workshop.dags` and the web UI run it: a program of another environment, of which nothing is imported.

    home        its place in the state folder, and the variables that its programs run with
    web         server, scheduler and DAG processor behind one loopback address
    container   the entry point of its image
    dag_parameters, dag_events             what the DAG's files read too: what it takes, how it tells how it goes
    dag_watch, dag_progress, dag_results   what is known of a run, how it is printed, how it ended

What the DAG's tasks do is in `workshop.aws.sentiment_flow`. Knows no boto3.
"""
