package hub.registry.client;

import java.nio.file.Files;
import java.nio.file.Path;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.context.annotation.Configuration;
import org.springframework.util.FileSystemUtils;

/** A client of Nacos by Spring Cloud Alibaba; see tests/clients/spring/README.md. */
@Configuration
@EnableAutoConfiguration
public class NacosApp {

  public static void main(String[] arguments) throws Exception {
    // Otherwise it keeps what it finds in the user's home.
    Path folder = Files.createTempDirectory("hub-nacos-app");
    System.setProperty("JM.SNAPSHOT.PATH", folder.toString());
    try {
      Program.run(
          NacosApp.class,
          arguments,
          "spring.cloud.consul.enabled=false",
          "spring.application.name=" + arguments[1],
          "spring.cloud.nacos.discovery.server-addr=" + arguments[0],
          "spring.cloud.nacos.discovery.ip=" + arguments[2],
          "spring.cloud.nacos.discovery.port=" + arguments[3],
          "spring.cloud.nacos.discovery.metadata.by=spring-nacos");
    } finally {
      FileSystemUtils.deleteRecursively(folder);
    }
  }
}
