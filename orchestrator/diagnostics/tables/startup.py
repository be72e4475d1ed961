"""Rules for the log of a container that does not start: exceptions, then what servers write.

The first rule that matches an exception is used, so specific rules stand before general ones.
"""

from __future__ import annotations

from orchestrator.diagnostics.rules import CLOUD, Confidence, FailureRule

_LACKS = r"(?:ModuleNotFoundError: No module named|ImportError: No module named|InitError: .*needs module)"
_LIBRARIES = (
    r"(?:sklearn|numpy|scipy|pandas|joblib|lightgbm|xgboost|catboost|imblearn|category_encoders|statsmodels|pyarrow|"
    r"cloudpickle|torch|tensorflow|keras|pydantic|flask|werkzeug|jinja2|_loss)"
)
_MODEL_FILE = r"(?:[^']*azureml-models[^']*|[^']*\.(?:pkl|pickle|joblib|sav|onnx|h5|skops))"
# Namespace packages: a missing module in one says nothing about the versions of the others.
_SHARED = r"(?:azure|azureml|google|ruamel|opentelemetry|mpl_toolkits|sphinxcontrib)"

_SERVER = (
    "add azureml-inference-server-http to the pip section of the package's conda.yaml: it is what runs score.py "
    "(azureml-defaults brings it along, and does not go with a current numpy)"
)
_OWN_CODE = "fix score/ and build the package again; `{command} deploy=local` tries it without waiting for a cloud"
_PINS = "{install_pins}, or train again with the versions installed here"
_MODEL_DIR = (
    "the entry script must look below AZUREML_MODEL_DIR, which holds the package itself: use score/score.py as it "
    "ships, and redeploy so that the whole package is registered"
)

EXCEPTION_RULES = (
    FailureRule(
        "missing_azureml_defaults",
        rf"{_LACKS} '(?P<module>azureml_inference_server_http|inference_schema|gunicorn|flask|azureml(?:\.core)?)'",
        "the container lacks Azure's inference server: {quoted}", _SERVER, targets=CLOUD,
    ),
    FailureRule(
        "entry_script_import", r"ModuleNotFoundError: No module named '[\w.]+'; '(?P<module>\w+)' is not a package",
        "{quoted}: one of your own files has the name of that library and shadows it", "rename {module}.py and build the package again",
    ),
    FailureRule(
        "entry_script_import", rf"{_LACKS} '(?P<module>main|score(?:\.\w+)*|orchestrator(?:\.\w+)*)'",
        "{quoted}: the entry script needs code that did not ship", _OWN_CODE,
    ),
    FailureRule(
        "missing_package", rf"{_LACKS} '(?P<module>{_SHARED}(?:\.\w+)+)'",
        "{quoted}", "{install}",
    ),
    FailureRule(
        "version_mismatch", rf"{_LACKS} '(?P<module>{_LIBRARIES}(?:\.\w+)+)'",
        "{quoted}: {top} is installed, but in another version than the model or the code needs", _PINS,
    ),
    FailureRule("missing_package", rf"{_LACKS} '(?P<module>[\w.]+)'", "{quoted}", "{install}"),
    FailureRule(
        "missing_package", r"No package metadata was found for (?P<module>[\w.-]+)",
        "{quoted}", "{install}",
    ),
    FailureRule(
        "missing_package", r"model was trained with (?P<what>[^,:()]+\(here: none\)(?:, [^,:()]+\(here: none\))*):",
        "the model needs {what}", "{install_pins}",
    ),
    FailureRule(
        "version_mismatch", r"model was trained with (?P<what>.+?\(here: [^)]*\)):",
        "the model was trained with {what}", _PINS,
    ),
    FailureRule(
        "version_mismatch",
        r"(?:Warning: |does not load: )Trying to unpickle estimator \w+ from version (?P<old>\S+) when using version (?P<new>[\d.]*\d)",
        "the model was pickled by scikit-learn {old} and scikit-learn {new} tried to load it", _PINS,
    ),
    FailureRule(
        "missing_package",
        r"Can't get attribute '(?P<name>\w+)' on <module '(?P<module>__main__|__mp_main__|entry_module|main|score[\w.]*)'",
        "the pickled model needs {name}, code of {module} that does not ship",
        "move {name} to a module of the project, such as features.py, which ships with the package, and train again",
    ),
    FailureRule(
        "version_mismatch",
        rf"Can't get attribute '[^']+' on <module '(?:{_LIBRARIES}[\w.]*|[^']*' from '[^']*(?:site|dist)-packages)",
        "{quoted}: the model was pickled by another version of that library", _PINS,
    ),
    FailureRule(
        "version_mismatch", rf"cannot import name '?\w+'? from '(?:{_LIBRARIES}[\w.]*'|[\w.]+' \([^)]*(?:site|dist)-packages)",
        "{quoted}: another version of that library is installed than the code was written for", _PINS,
    ),
    FailureRule(
        "entry_script_import", r"ImportError: (?:cannot import name|attempted relative import)",
        "the entry script cannot be imported: {quoted}", _OWN_CODE,
    ),
    FailureRule(
        "version_mismatch",
        r"may indicate binary incompatibility|numpy\.core\.multiarray failed to import|compiled using NumPy 1|"
        r"node array from the pickle has an incompatible dtype|is not a known BitGenerator|unsupported pickle protocol|"
        r"TypeError: (?:code\(\)|__randomstate_ctor\(\)|__generator_ctor\(\)) (?:takes|argument)",
        "{quoted}: the model or a library was made with other versions than are installed where it is served", _PINS,
    ),
    FailureRule(
        "version_mismatch", r"AttributeError: '(?!NoneType)\w+' object has no attribute",
        "{quoted}, after scikit-learn warned that another version pickled the model", _PINS,
        requires=r"InconsistentVersionWarning|Trying to unpickle estimator",
    ),
    FailureRule(
        "missing_package", r"(?P<module>lib[\w.+-]+): cannot open shared object file",
        "the system library {module} is missing where the package is served",
        "use a base image that has it (for libgomp: the distribution package libgomp1)",
    ),
    FailureRule(
        "entry_script_import", r"(?:SyntaxError|IndentationError|TabError): (?P<what>.+)",
        "the entry script does not parse: {quoted}{location_in_code}", _OWN_CODE,
    ),
    FailureRule(
        "entry_script_import", r"does not have a (?P<name>init|run)\(\) function defined",
        "the entry script has no {name}()", "define {name}() at the top level of score/score.py: init() loads, run(data) answers",
    ),
    FailureRule(
        "entry_script_import", r"run\(\) cannot accept positional-only", "{quoted}",
        "give run() plain named parameters: run(data)",
    ),
    FailureRule(
        "entry_script_import", r"(?:FileNotFoundError|No such file or directory).*'(?P<path>[^']+\.py)'",
        "the entry script {path} is not where the server looks for it", _OWN_CODE,
    ),
    FailureRule("missing_model", r"should hold one package: (?P<what>.+)", "AZUREML_MODEL_DIR is wrong: {what}", _MODEL_DIR),
    FailureRule("missing_model", r"no readable contract: \[Errno 2\]", "the package has no contract.json", _MODEL_DIR),
    FailureRule(
        "missing_model", rf"(?:FileNotFound|NotADirectory|IsADirectory)Error: .*'(?P<path>{_MODEL_FILE})'",
        "the model is not at {path}", _MODEL_DIR,
    ),
    FailureRule(
        "missing_model", r"TypeError: .*not '?NoneType'?", "AZUREML_MODEL_DIR is not set where the package is served", _MODEL_DIR,
        frames="AZUREML_MODEL_DIR",
    ),
    FailureRule("missing_model", r"ModelNotFoundException\b", "the model is not in the container", _MODEL_DIR),
    FailureRule(
        "out_of_memory", r"^(?:\w+\.)*_?(?:Array)?MemoryError\b|\[Errno 12\]|InitError: .*Unable to allocate .+ for an array|std::bad_alloc",
        "out of memory: {quoted}", "{more_memory}",
    ),
    FailureRule(
        "out_of_memory", r"(?:ImportError|OSError|InitError): .*failed to map segment from shared object",
        "a library did not fit into memory: {quoted}", "{more_memory}",
    ),
    FailureRule(
        "crash_loop", r"(?:UnpicklingError|EOFError|KeyError: \d+$)|does not load: : ", "the model file does not load: {quoted}",
        "build the package again: its model.pkl is damaged or no pickle", frames=r"pickle",
    ),
    FailureRule("port_in_use", r"OSError: .*[Aa]ddress already in use", "{quoted}", "{free_port}"),
)  # fmt: skip

LOG_RULES = (
    FailureRule(
        "missing_azureml_defaults", r"exec: \"?(?:gunicorn|azmlinfsrv)\"?: .*not found|(?:gunicorn|azmlinfsrv): command not found|"
        r"No module named azureml_inference_server_http\b",
        "the container lacks Azure's inference server: {quoted}", _SERVER,
    ),
    FailureRule("missing_package", r"python\S*: No module named (?P<module>\w+)\s*$", "{quoted}", "{install}"),
    FailureRule(
        "port_in_use", r"[Cc]annot listen on (?P<where>\S+): .*in use|Connection in use: \(|[Aa]ddress already in use",
        "another process has the port already: {quoted}", "{free_port}", unless_later="Listening at|running on http",
    ),
    FailureRule(
        "out_of_memory", r"OOMKilled|terminated due to insufficient memory|Memory cgroup out of memory|[Oo]ut of memory: [Kk]illed process|oom-kill:",
        "the container was ended for using more memory than it was given: {quoted}", "{more_memory}",
    ),
    FailureRule(
        "timeout_unhealthy", r"WORKER TIMEOUT \(pid",
        "the server's worker was ended before it was ready: {quoted}", "{more_time}",
    ),
    FailureRule(
        "out_of_memory", r"killed by SIGKILL|sent SIGKILL|due to signal 9\b|[Ee]xit(?:ed)?(?: with)?(?: \w+)* ?[:(]?(?: ?code)? ?:? ?137\b",
        "killed by SIGKILL, out of memory?", "{more_memory}", confidence=Confidence.HINT,
    ),
    FailureRule(
        "crash_loop", r"(?P<what>killed by SIG(?!KILL)[A-Z]+|exit code:? (?:132|134|139)\b)",
        "{what}: a compiled library crashed",
        "train again with other versions of the libraries, or serve on another machine", confidence=Confidence.EXCEPTION,
    ),
    FailureRule(
        "crash_loop", r"Error in entry script, (?P<what>.+?)(?:, please run|\\n|\"|$)",
        "{what}", "{fix}", confidence=Confidence.EXCEPTION,
    ),
    FailureRule(
        "crash_loop", r"CrashLoopBackOff|container application crashed|container .*crash|died while starting|"
        r"[Ee]xited with (?:exit )?code [1-9]|Worker failed to boot",
        "{log_end}", "{read_log}", confidence=Confidence.SYMPTOM,
    ),
    FailureRule(
        "timeout_unhealthy", r"DeploymentTimedOut|not ready in time|polling has TimedOut|Timed out waiting|"
        r"service state: (?:Unhealthy|unhealthy|Transitioning|TimedOut)|[Rr]eadiness probe failed",
        "the service is not ready in time{last_line}", "{more_time}", confidence=Confidence.SYMPTOM,
    ),
)  # fmt: skip
