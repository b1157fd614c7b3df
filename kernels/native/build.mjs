process.stdout.write('troupe: no native sources yet\n');
