"""Measuring what reranking gains, on the path that serves: the same flow, connector, scorer and fusion.

Terms are those of TREC: a *query* has an id and a text; *qrels* are the judgements, query -> document -> grade, a grade
above 0 being relevant; a *run* is the ranking of every query; a *measure* is written as in ir_measures (``nDCG@10``).
"""
