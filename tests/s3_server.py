"""A server on this machine that speaks S3, for results, data and locks in a bucket."""

import os
from contextlib import contextmanager


@contextmanager
def bucket(mirror):
    """Address of an empty bucket; the environment, also of processes started meanwhile, says how it is reached.

    Parameters
    ----------
    mirror : Path
        For copies of what lies there.
    """
    import boto3
    import requests
    from fsspec.registry import get_filesystem_class
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environment = {
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "FTIRLIB_MIRROR": str(mirror),
    }
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    get_filesystem_class("s3").clear_instance_cache()  # one made before knows another server
    try:
        # the servers of one process share what they hold: another module's bucket may be left there
        requests.post(f"http://{host}:{port}/moto-api/reset", timeout=30).raise_for_status()
        boto3.client("s3").create_bucket(Bucket="results")
        yield "s3://results"
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)
        server.stop()
