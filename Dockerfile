# The image of tokend. docs/containers.md describes its use.
#
#   docker build --build-arg VERSION=1.2.3 -t tokend .
FROM golang:1.26 AS build
WORKDIR /src
COPY . .
ARG VERSION
RUN git config --global --add safe.directory /src && VERSION=$VERSION systemd/packaging/rootfs /image

FROM scratch
COPY --from=build /image /
# Volumes take owner and mode from these directories.
COPY --from=build --chown=65532:65532 --chmod=0755 /image/run/tokend /run/tokend
COPY --from=build --chown=65532:65532 --chmod=0700 /image/var/lib/tokend /var/lib/tokend
USER 65532:65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/tokend"]
CMD ["serve"]
