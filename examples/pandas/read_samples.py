"""Follow a plant with pandas: once all of today, then whatever arrives, also what heals late. No sample comes twice.

python read_samples.py https://checkvalve.example:8600 TOKEN ASSET
"""

import io
import sys
import urllib.parse
import urllib.request

import pandas as pd

base, token, asset, day = sys.argv[1:5]


def fetch(**question: str) -> tuple[pd.DataFrame, str]:
    address = f"{base}/api/samples?{urllib.parse.urlencode({'asset': asset, 'form': 'parquet', **question})}"
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request) as answer:
        return pd.read_parquet(io.BytesIO(answer.read())), answer.headers["Checkvalve-Next"]


samples, cursor = fetch(**{"from": day})
print(samples[samples.quality == "good"].groupby(["tag", "unit"]).value_double.describe())
fresh, cursor = fetch(since=cursor)  # again and again, as often as you like: keep the cursor
print(f"{len(fresh)} more samples, {fresh.healed.sum()} of them healed late; next: {cursor}")
