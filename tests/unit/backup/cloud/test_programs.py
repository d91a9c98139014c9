"""What `aws` and `az` find in their environment: all of the repository's identity, and nothing of another one."""

from __future__ import annotations

from collections.abc import Mapping

from backup.cloud.programs import CERTIFICATES, Told, aws, azure
from backup.storage.published import Options

S3: Mapping[str, str] = {
    "type": "s3",
    "s3-bucket": "your-backup-bucket",
    "s3-endpoint": "s3.eu-central-1.amazonaws.com",
    "s3-region": "eu-central-1",
    "s3-key-type": "shared",
    "s3-key": "ACCESS",
    "s3-key-secret": "SECRET",
    "storage-verify-tls": "y",
}
AZURE: Mapping[str, str] = {
    "type": "azure",
    "azure-account": "shop",
    "azure-container": "backups",
    "azure-endpoint": "blob.core.windows.net",
    "azure-uri-style": "host",
    "azure-key-type": "shared",
    "azure-key": "U0VDUkVU",
    "storage-verify-tls": "y",
}


def aws_of(**options: str) -> Told:
    return aws(Options(1, {**S3, **{name.replace("_", "-"): value for name, value in options.items()}}))


def azure_of(**options: str) -> Told:
    return azure(Options(1, {**AZURE, **{name.replace("_", "-"): value for name, value in options.items()}}))


def test_aws_gets_keys_region_and_address() -> None:
    told = aws_of()
    assert told.variables["AWS_ACCESS_KEY_ID"] == "ACCESS"
    assert told.variables["AWS_SECRET_ACCESS_KEY"] == "SECRET"
    assert told.variables["AWS_DEFAULT_REGION"] == "eu-central-1"
    assert told.variables["AWS_ENDPOINT_URL_S3"] == "https://s3.eu-central-1.amazonaws.com"
    assert told.variables["AWS_CA_BUNDLE"] == CERTIFICATES
    assert told.options == ()


def test_aws_takes_a_session_token_only_where_there_is_one() -> None:
    assert aws_of().variables["AWS_SESSION_TOKEN"] is None
    assert aws_of(s3_token="SESSION").variables["AWS_SESSION_TOKEN"] == "SESSION"


def test_aws_of_a_service_of_ones_own() -> None:
    told = aws_of(s3_endpoint="s3.example.com", storage_port="8334", storage_ca_file="/etc/pgbackrest/keys/repo1-ca.pem")
    assert told.variables["AWS_ENDPOINT_URL_S3"] == "https://s3.example.com:8334"
    assert told.variables["AWS_CA_BUNDLE"] == "/etc/pgbackrest/keys/repo1-ca.pem"
    assert aws_of(storage_host="10.0.0.7").variables["AWS_ENDPOINT_URL_S3"] == "https://10.0.0.7"


def test_certificates_that_backups_do_not_check_are_not_checked() -> None:
    assert aws_of(storage_verify_tls="n").options == ("--no-verify-ssl",)
    assert azure_of(storage_verify_tls="n").variables["AZURE_CLI_DISABLE_CONNECTION_VERIFICATION"] == "1"


def test_the_role_of_a_machine_is_found_by_aws_itself() -> None:
    variables = aws_of(s3_key_type="auto").variables
    assert {variables[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")} == {None}
    assert variables["AWS_WEB_IDENTITY_TOKEN_FILE"] is None


def test_a_web_identity_is_left_where_compose_has_put_it() -> None:
    assert "AWS_WEB_IDENTITY_TOKEN_FILE" not in aws_of(s3_key_type="web-id").variables


def test_az_gets_account_and_key_in_microsofts_cloud() -> None:
    variables = azure_of().variables
    assert (variables["AZURE_STORAGE_ACCOUNT"], variables["AZURE_STORAGE_KEY"]) == ("shop", "U0VDUkVU")
    assert "AZURE_STORAGE_CONNECTION_STRING" not in variables


def test_az_gets_a_token_as_a_token() -> None:
    variables = azure_of(azure_key_type="sas", azure_key="sv=2022-11-02&sig=x").variables
    assert variables["AZURE_STORAGE_SAS_TOKEN"] == "sv=2022-11-02&sig=x"
    assert "AZURE_STORAGE_KEY" not in variables


def test_az_gets_a_connection_string_everywhere_else() -> None:
    told = azure_of(azure_endpoint="store.example.com", azure_uri_style="path", storage_port="10000")
    assert told.variables["AZURE_STORAGE_CONNECTION_STRING"] == (
        "DefaultEndpointsProtocol=https;BlobEndpoint=https://store.example.com:10000/shop;AccountName=shop;AccountKey=U0VDUkVU"
    )
    china = azure_of(azure_endpoint="blob.core.chinacloudapi.cn", azure_key_type="sas", azure_key="sv=1&sig=x")
    assert china.variables["AZURE_STORAGE_CONNECTION_STRING"] == (
        "DefaultEndpointsProtocol=https;BlobEndpoint=https://shop.blob.core.chinacloudapi.cn;AccountName=shop;"
        "SharedAccessSignature=sv=1&sig=x"
    )


def test_no_secret_is_on_the_command_line_or_shown() -> None:
    for told in (aws_of(storage_verify_tls="n"), azure_of()):
        assert not {"SECRET", "U0VDUkVU"} & set(told.options)
        assert "SECRET" not in repr(told).replace("AWS_SECRET_ACCESS_KEY", "")
        assert "U0VDUkVU" not in repr(told)
