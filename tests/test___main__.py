import subprocess
import sys


def test_the_module_is_the_command():
    outcome = subprocess.run([sys.executable, "-m", "medrestore", "--version"], capture_output=True, text=True, timeout=60)
    assert outcome.returncode == 0 and outcome.stdout.startswith("medrestore ")
    refused = subprocess.run([sys.executable, "-m", "medrestore", "recom"], capture_output=True, text=True, timeout=60)
    assert refused.returncode == 2 and "recon" in refused.stderr and "Traceback" not in refused.stderr
