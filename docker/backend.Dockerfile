# A stand-in for an inference server, to try the gateway with: nghttpd speaks HTTP/2 with
# prior knowledge on 8001, sends back what is posted to it, and serves its own name.
#
#   docker build -f docker/backend.Dockerfile -t qat-gateway-backend docker

ARG BASE_IMAGE=debian:trixie-slim
FROM ${BASE_IMAGE}
RUN export DEBIAN_FRONTEND=noninteractive \
    && apt-get update \
    && apt-get install -y --no-install-recommends nghttp2-server \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log
ENV BACKEND_NAME=backend
USER 65534:65534
EXPOSE 8001
STOPSIGNAL SIGTERM
CMD ["sh", "-c", "mkdir -p /tmp/www && echo \"$BACKEND_NAME\" >/tmp/www/index.html && exec nghttpd --no-tls --echo-upload --address=0.0.0.0 --htdocs=/tmp/www 8001"]
