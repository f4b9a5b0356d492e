#!/bin/sh
# Makes a repository of Docker's packages as Docker's own is laid out: the same names, files and conflicts, around the programs of Debian's packages, in two
# releases. What a test needs of them is that they are Docker's to apt and run; Docker's own cannot be had where the tests run.
set -eu
export DEBIAN_FRONTEND=noninteractive GNUPGHOME=/root/depot-key
suite=trixie arch=$(dpkg --print-architecture) top=/srv/depot/linux/debian work=/srv/depot-work
mkdir -p "$work" "$top/dists/$suite/stable/binary-$arch" "$top/dists/$suite/pool/stable/$arch"
cd "$work"
apt-get download docker.io docker-cli docker-buildx containerd runc

# package NAME VERSION DEPENDS RELATIONS FROM...: one of Docker's packages, with the files of Debian's and all that those depend on but one another.
package() {
  name=$1 version=$2 depends=$3 relations=$4
  shift 4
  rm -rf tree
  mkdir -p tree/DEBIAN
  for from; do
    dpkg-deb --extract "$from"_*.deb tree
    found=$(dpkg-deb --field "$from"_*.deb Depends | tr ',' '\n' | grep -Ev '^ *(docker-cli|containerd|runc|docker-buildx)( |$)' | paste -sd, -)
    depends="$depends${depends:+, }$found"
  done
  cat >tree/DEBIAN/control <<END
Package: $name
Version: $version
Architecture: $arch
Maintainer: depot <depot@example.com>
Depends: $depends
$relations
Description: $name, from packages of Debian
END
  if [ "$name" = docker-ce ]; then
    printf '#!/bin/sh\ngetent group docker >/dev/null || groupadd --system docker\n' >tree/DEBIAN/postinst
    printf '#!/bin/sh\nsystemctl disable --now docker.socket docker.service || true\n' >tree/DEBIAN/prerm
    printf '#!/bin/sh\nsystemctl daemon-reload || true\n' >tree/DEBIAN/postrm
    chmod 755 tree/DEBIAN/postinst tree/DEBIAN/prerm tree/DEBIAN/postrm
  fi
  dpkg-deb --root-owner-group -Zgzip -z1 --build tree "$top/dists/$suite/pool/stable/$arch/${name}_${version#*:}_$arch.deb" >/dev/null
}
for release in 26.1.5 99.0.0; do
  package docker-ce "5:$release-1~debian.13~$suite" "containerd.io, docker-ce-cli" "Conflicts: docker.io" docker.io
  package docker-ce-cli "5:$release-1~debian.13~$suite" "" "Conflicts: docker.io, docker-cli" docker-cli
done
package containerd.io 1.7.27-1 "" "Provides: containerd, runc
Conflicts: containerd, runc
Replaces: containerd, runc" containerd runc
package docker-buildx-plugin "0.13.1-1~debian.13~$suite" "" "Conflicts: docker-buildx" docker-buildx

cd "$top/dists/$suite"
(cd "$top" && apt-ftparchive packages "dists/$suite/pool") >"stable/binary-$arch/Packages"
apt-ftparchive -o APT::FTPArchive::Release::Suite=$suite -o APT::FTPArchive::Release::Codename=$suite \
  -o APT::FTPArchive::Release::Components=stable -o APT::FTPArchive::Release::Architectures="$arch" release . >/tmp/Release
mv /tmp/Release Release
mkdir -p -m 700 "$GNUPGHOME"
gpg --batch --quiet --pinentry-mode loopback --passphrase "" --quick-generate-key depot@example.com rsa3072 sign never
gpg --batch --quiet --yes --clearsign --output InRelease Release
gpg --batch --quiet --armor --export depot@example.com >"$top/gpg"
