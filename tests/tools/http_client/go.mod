module http_client

go 1.19
