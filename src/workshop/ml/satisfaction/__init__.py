"""How satisfied an airline's passengers are: from the answers of a survey to numbers that a model learns from.

Try it:  python -c "from workshop import datasets; print(datasets.satisfaction().train)"

    survey        the survey's columns, and answers to it as they were given
    recipe        how an answer becomes 22 numbers: fitted on the train file, kept in columns.json
    prepare       the three files that a built-in algorithm takes: label first, no header
    predictions   what an endpoint or a batch transform answered: scores and labels
    measures      accuracy, AUC, precision, recall, F1, curves
    boosting      gradient boosting, which sees what a linear model can't
    figures       the answers, and how well they are told apart

Needs NumPy, scikit-learn and Matplotlib, no pandas. Knows no AWS, no HTTP, no notebooks and no files of others.
"""
