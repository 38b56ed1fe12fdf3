"""
Sharing an explanation as a report
==================================

``Explanation.to_report`` writes scores, maps, connections, faithfulness tests and package versions
to a single HTML file that loads nothing from the internet.
"""

# %%
# Train a model on six simulated subjects and explain two others.

import tempfile
from pathlib import Path

import numpy as np
from sklearn.metrics import balanced_accuracy_score

from skeegformer import (
    AttentionExplainer,
    Explanation,
    make_eeg_pipeline,
    make_simulated_eeg,
)

X, y, metadata, truth = make_simulated_eeg(snr=10.0, random_state=0)
subjects = metadata["subject"].to_numpy()
train = subjects <= 6
pipeline = make_eeg_pipeline(max_epochs=30, random_state=0)
pipeline.fit(X[train], y[train])
score = balanced_accuracy_score(y[~train], pipeline.predict(X[~train]))
print(f"Simulated: balanced accuracy on unseen subjects {score:.2f} (chance 0.50)")
explainer = AttentionExplainer("rollout", connections=True)
explanation = explainer.explain(pipeline, X[~train], y[~train])
print(explanation)
explanation.plot_topomap(by="class", names=2)

# %%
# Save and load
# -------------
# The file contains arrays and text; no code is executed when it is loaded.

with tempfile.TemporaryDirectory() as folder:
    file = Path(folder, "explanation.safetensors")
    explanation.save(file)
    print(f"{file.name}: {file.stat().st_size / 1e6:.1f} MB")
    loaded = Explanation.load(file)
print(np.array_equal(loaded.values, explanation.values))

# %%
# As a table, for other statistics:

explanation.to_dataframe().head()

# %%
# Write the report
# ----------------
# The explanation is tested first, so that the report includes the results.

faithfulness = explanation.evaluate(random_state=0)
report = explanation.to_report(
    "report.html", title="Left and right", faithfulness=faithfulness, overwrite=True
)

# %%
# .. raw:: html
#
#    <p><a href="report.html">Open the page by itself</a></p>
#    <iframe src="report.html" title="Report"
#            style="width: 100%; height: 700px; border: 1px solid #ccc"></iframe>
#
# ``report`` is an :class:`mne.Report`: use its methods to add sections, such as a table of scores
# (``report.add_html(scores.to_html(), "Scores")``), and ``report.save`` to save it again.
