"""An S3 server (moto) on loopback with the files of a folder; after a line on stdin it checks signatures."""
import json
import os
import pathlib
import sys
import urllib.request

os.environ["MOTO_S3_DEFAULT_MAX_KEYS"] = "50"  # keys on a page of a list

import boto3
from moto.server import ThreadedMotoServer

BUCKET = "tables"

folder = pathlib.Path(sys.argv[1])
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
url = f"http://127.0.0.1:{port}"
options = dict(endpoint_url=url, region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="y")
s3 = boto3.client("s3", **options)
s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
for path in sorted(folder.rglob("*")):
    if path.is_file():
        s3.upload_file(str(path), BUCKET, path.relative_to(folder).as_posix(), ExtraArgs={"ACL": "public-read"})
# More than a page of a list.
for i in range(120):
    s3.put_object(Bucket=BUCKET, Key=f"many/part-{i:05d}.csv", Body=f"id\n{i}\n".encode(), ACL="public-read")
iam = boto3.client("iam", **options)
iam.create_user(UserName="reader")
policy = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "*"}],
}
iam.put_user_policy(UserName="reader", PolicyName="read", PolicyDocument=json.dumps(policy))
key = iam.create_access_key(UserName="reader")["AccessKey"]
print(json.dumps({"url": url, "id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}), flush=True)
if sys.stdin.readline():
    headers = {"content-type": "text/plain"}
    request = urllib.request.Request(f"{url}/moto-api/reset-auth", b"0", headers, method="POST")
    urllib.request.urlopen(request).read()
    print("locked", flush=True)
sys.stdin.read()
server.stop()
