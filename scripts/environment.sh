# Sourced by quickstart and check: makes .venv once, and installs the package into it when
# pyproject.toml has changed. Needs Python 3.11.4 or newer, and PyPI.
# usage: environment EXTRAS, such as: environment train,test

environment() {
  local extras=$1 python=${PYTHON:-python3} venv=${VENV:-.venv} stamp
  stamp="$venv/.installed-$extras"
  if [ ! -x "$venv/bin/python" ]; then
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11, 4))' \
      || { echo "$0: needs Python 3.11.4 or newer; set PYTHON" >&2; return 2; }
    "$python" -m venv "$venv"
  fi
  if ! cmp -s pyproject.toml "$stamp"; then
    echo "installing into $venv (several minutes the first time)" >&2
    # TORCH: a CPU build has all that is needed here; the CUDA build is some gigabytes larger.
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "${TORCH:-torch==2.13.0}"
    # A copy that was installed before leaves its compiled code behind, which would hide this one.
    "$venv/bin/python" -m pip uninstall --quiet --yes readable-asr 2>/dev/null
    rm -rf "$venv"/lib/python3*/site-packages/asr
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -e ".[$extras]"
    cp pyproject.toml "$stamp"
  fi
  PATH="$(cd "$venv/bin" && pwd):$PATH"
}
