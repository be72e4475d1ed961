"""Rules for the answers of the platform or its SDK that refuse a deployment before it starts."""

from __future__ import annotations

from orchestrator.diagnostics.rules import CLOUD, Confidence, FailureRule

_PRINCIPAL = "AZUREML_SERVICE_PRINCIPAL_TENANT_ID, AZUREML_SERVICE_PRINCIPAL_ID and AZUREML_SERVICE_PRINCIPAL_PASSWORD"
_LOGIN = f"run `az login`, or set {_PRINCIPAL}"
_ROLE = "ask the owner of the resource group for the role Contributor (or AzureML Data Scientist) on the workspace"
_WORKSPACE = "check the subscription, resource group and workspace name of the azure group or of config.json"

REFUSAL_RULES = (
    # names
    FailureRule(
        "name_conflict", r"[Dd]ns ?[Nn]ame ?[Ll]abel '?(?P<name>[\w-]*)'?.*(?:not available|taken|in use)|DnsNameLabelNotAvailable|"
        r"DNS name label '(?P<label>[\w-]+)' .*not available",
        "the DNS name is taken in this region: {quoted}", "deploy.dns_name_label={other_label}",
    ),
    FailureRule(
        "name_conflict", r"already contains an ACI Container Group|already (?:a )?service with (?:the )?(?:same )?name|"
        r"container name \"?[^\"]+\"? is already in use|[Ss]ervice .{0,60}already exists",
        "the name is taken: {quoted}",
        "deploy.service_name={other_name}, or remove the old one first: `{command} deploy={target} stages=remove`",
    ),
    FailureRule(
        "name_conflict", r"ServiceExists", "the name is taken: {quoted}",
        "deploy.service_name={other_name}, or remove the old one first: `{command} deploy={target} stages=remove`",
    ),
    FailureRule(
        "invalid_name", r"(?:service|model|image) name is invalid|[Ss]ervice name '?[^' ]*'? is (?:not valid|invalid)|"
        r"InvalidResourceName|ResourceNameInvalid|service_name: should be",
        "the name is not allowed: {quoted}",
        "deploy.service_name={good_name} (3 to 32 lower case letters, digits and dashes, a letter first, no dash last)",
    ),
    FailureRule(
        "entry_script_import", r"invalid name \\?\"(?P<name>[^\"\\]+)\\?\" for provided entry script",
        "the entry script cannot be imported under the name {name}", "give it a Python name, such as score.py",
    ),
    FailureRule(
        "entry_script_import", r"entry_script (?P<path>\S+) doesn't exist", "the entry script {path} does not exist",
        "build the package again: score/score.py ships with it",
    ),
    FailureRule(
        "entry_script_import", r"invalid syntax \((?P<where>[\w.-]+, line \d+)\)",
        "the entry script does not parse: {where}", "fix {where} and build the package again",
    ),
    # size and region
    FailureRule(
        "quota_size", r"(?P<what>Not enough quota available for [\w.]+|OutOfCapacity|[Oo]ut of capacity)",
        "there is no quota or no room left for these machines: {what}",
        "{smaller}, another deploy.instance_type, or ask Azure for more quota: while a new deployment is tested the former one is still there",
        targets=("managed",),
    ),
    FailureRule(
        "quota_size", r"(?P<what>\d+/\d+ nodes are available: [^.\"\\]*|PodUnschedulable|[Ii]nsufficient (?:cpu|memory))",
        "the cluster has no room left for this container: {what}",
        "{smaller}, or more nodes: while a new deployment is tested the former one is still there",
        targets=("aks",),
    ),
    FailureRule(
        "quota_size", r"(?P<what>Resource requested: .{0,200}exceeded resource limitation)",
        "more CPU or memory than one container group may have: {what}", "{smaller} (the numbers include Azure's side-cars)",
    ),
    FailureRule(
        "quota_size", r"(?P<what>(?:ContainerGroup|Standard)?Quota(?:Reached|Exceeded)|(?:container group )?quota '[^']+' exceeded[^.\"\\]*|"
        r"exceeding approved [\w ]+ quota|Not enough quota available[^.\"\\]*|Couldn't schedule because [^.\"\\]*available resources)",
        "there is no quota or no room left: {what}",
        "remove services that are not needed, deploy.location={location}, {smaller}, or ask Azure for more quota",
    ),
    FailureRule(
        "quota_size", r"(?P<what>cpu_cores|memory_gb) must be positive", "{what} must be above 0", "deploy.{what}=1",
    ),
    FailureRule(
        "quota_size", r"(?P<what>Limits?LessThanRequests|ContainerLimitGreaterThan\w+|InvalidContainerResources?\w*)",
        "Azure does not give a container this size: {what}", "{smaller}",
    ),
    FailureRule(
        "region", r"not available in the location '(?P<where>[\w ]+)'",
        "region {where} cannot give these resources now", "deploy.location={location}, or {smaller}",
    ),
    FailureRule(
        "region", r"location '(?P<where>[\w ]+)' is not available for resource type|(?P<code>LocationNotAvailableForResourceType|"
        r"NoRegisteredProviderFound|InsufficientCapacity|RegionNotSupported)",
        "the service is not offered in this region: {quoted}", "deploy.location={location}",
    ),
    # permissions
    FailureRule(
        "auth_permission", r"AADSTS7000215", "Azure refuses the service principal's secret",
        "set AZUREML_SERVICE_PRINCIPAL_PASSWORD to the secret's value (not its ID)",
    ),
    FailureRule(
        "auth_permission", r"AADSTS7000222", "the service principal's secret has expired",
        "make a new secret and set AZUREML_SERVICE_PRINCIPAL_PASSWORD to it",
    ),
    FailureRule(
        "auth_permission", r"AADSTS700016", "Azure does not know this service principal in this tenant",
        "check AZUREML_SERVICE_PRINCIPAL_ID and AZUREML_SERVICE_PRINCIPAL_TENANT_ID",
    ),
    FailureRule(
        "auth_permission", r"AADSTS9000[12]\d?\b", "Azure does not know this tenant", "check AZUREML_SERVICE_PRINCIPAL_TENANT_ID",
    ),
    FailureRule("auth_permission", r"(?P<code>AADSTS\d+)", "Azure's sign-in refuses: {code}", _LOGIN),
    FailureRule(
        "auth_permission", r"MissingSubscriptionRegistration|not registered to use namespace '(?P<name>[\w.]+)'",
        "the subscription is not registered for this kind of resource: {quoted}",
        "az provider register --namespace Microsoft.ContainerInstance",
    ),
    FailureRule(
        "auth_permission", r"AuthorizationFailed|does not have authorization to perform action|(?<!Un)AuthorizationPermissionMismatch|"
        r"LinkedAuthorizationFailed|RequestDisallowedByPolicy|insufficient privileges",
        "the identity may not do this: {quoted}", _ROLE,
    ),
    FailureRule(
        "auth_permission", r"SubscriptionNotFound|don't have access to .{0,60}subscription|subscription '[^']*' could not be found",
        "the subscription is not there for this identity: {quoted}", f"{_WORKSPACE}; {_LOGIN}",
    ),
    FailureRule(
        "auth_permission", r"Workspace not found|ResourceGroupNotFound|workspace configuration file",
        "the workspace was not found: {quoted}", _WORKSPACE,
    ),
    FailureRule(
        "auth_permission", r"ExpiredAuthenticationToken|InvalidAuthenticationToken|[Tt]oken (?:has|is) expired|"
        r"[Pp]lease run '?`?az login|azure-cli package is not installed|Failed to connect to MSI|No subscriptions? (?:were )?found|"
        r"DefaultAzureCredential failed|Interactive authentication (?:timed out|is needed)",
        "there is no sign-in, or the sign-in has ended: {quoted}", _LOGIN,
    ),
    FailureRule("auth_permission", r"HTTP status: 401|Response Code: 401", "Azure does not accept the sign-in (401)", _LOGIN, confidence=Confidence.HINT, targets=CLOUD),
    FailureRule("auth_permission", r"HTTP status: 403|Response Code: 403", "the identity may not do this (403)", _ROLE, confidence=Confidence.HINT, targets=CLOUD),
    FailureRule(
        "name_conflict", r"HTTP status: 409|Response Code: 409", "something of that name is in the way: {quoted}",
        "deploy.service_name={other_name}", confidence=Confidence.HINT, targets=CLOUD,
    ),
    # ports, throttling and the network
    FailureRule(
        "port_in_use", r"port is already allocated|[Aa]ddress already in use|deploy\.port: \d+ is in use",
        "another process has the port already: {quoted}", "{free_port}",
    ),
    FailureRule(
        "throttled_or_server", r"TooManyRequests|Too Many Requests|Response Code: 429|HTTP status: 429|too many 5\d\d error",
        "Azure asks for fewer calls: {quoted}", "wait a few minutes and run the same command again", confidence=Confidence.HINT, targets=CLOUD,
    ),
    FailureRule(
        "throttled_or_server", r"Response Code: 5\d\d|HTTP status: 5\d\d|InternalServerError|ServiceUnavailable|BadGateway|GatewayTimeout",
        "Azure failed itself: {quoted}", "run the same command again: what is done already is found again", confidence=Confidence.HINT, targets=CLOUD,
    ),
    FailureRule(
        "throttled_or_server", r"(?P<what>host='(?P<host>[\w.-]+)'.{0,20}Max retries exceeded|Max retries exceeded|ConnectionResetError|Connection aborted|"
        r"Temporary failure in name resolution|Read timed out|Failed to establish a new connection|Connection broken|Remote end closed connection|RemoteDisconnected|Unable to connect to proxy)",
        "Azure could not be reached from here: {what}",
        "check the network and HTTPS_PROXY, then run the same command again", confidence=Confidence.HINT, targets=CLOUD,
    ),
)  # fmt: skip
