"""The site: pages made from the catalog, with output of real runs.

``hook`` is what mkdocs calls. Everything below it makes Markdown and knows nothing of mkdocs:
``kata_pages`` and ``indexes`` write the pages, ``runs`` brings the output, ``markup`` has the
Markdown that they share. A kata that is added to the catalog gets its pages with no further work.
"""
